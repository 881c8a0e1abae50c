// An independent party, made of go-spiffe alone: what @kest/spiffe serves and issues is read and verified here, and what
// is served here is read by @kest/spiffe. One subcommand each; results are JSON lines on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// deadline ends whatever was forgotten by whoever started it.
const deadline = 5 * time.Minute

var commands = map[string]func(context.Context, []string) error{
	"fetch":               fetch,
	"watch":               watch,
	"verify-chains":       verifyChains,
	"mtls-client":         mtlsClient,
	"mtls-server":         mtlsServer,
	"workload-api-server": workloadAPIServer,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		return fmt.Errorf("expected one of the subcommands in main.go, got %q", os.Args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return commands[os.Args[1]](ctx, os.Args[2:])
}

func printLine(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
