package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// mtlsOptions are those of both sides: an identity, and the only peer that is let in.
type mtlsOptions struct {
	source *workloadapi.X509Source
	peer   tlsconfig.Authorizer
}

func mtlsOptionsOf(ctx context.Context, flags *flag.FlagSet, args []string) (*mtlsOptions, error) {
	address := flags.String("address", "", "of the Workload API")
	peer := flags.String("peer", "", "SPIFFE ID of the peer")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	id, err := spiffeid.FromString(*peer)
	if err != nil {
		return nil, err
	}
	source, err := workloadapi.NewX509Source(
		ctx, workloadapi.WithClientOptions(workloadapi.WithAddr(*address)),
	)
	if err != nil {
		return nil, err
	}
	return &mtlsOptions{source: source, peer: tlsconfig.AuthorizeID(id)}, nil
}

// mtlsClient makes one request, and prints what came back and from whom.
func mtlsClient(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mtls-client", flag.ContinueOnError)
	url := flags.String("url", "", "to get")
	options, err := mtlsOptionsOf(ctx, flags, args)
	if err != nil {
		return err
	}
	defer options.source.Close()
	client := http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: tlsconfig.MTLSClientConfig(options.source, options.source, options.peer),
		},
	}
	response, err := client.Get(*url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	peer, err := x509svid.IDFromCert(response.TLS.PeerCertificates[0])
	if err != nil {
		return err
	}
	return printLine(map[string]any{
		"status": response.StatusCode, "body": string(body), "peer": peer.String(),
	})
}

// mtlsServer listens on a free port of 127.0.0.1, prints it, and answers with the name of whoever asks.
func mtlsServer(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mtls-server", flag.ContinueOnError)
	options, err := mtlsOptionsOf(ctx, flags, args)
	if err != nil {
		return err
	}
	defer options.source.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := http.Server{
		ReadHeaderTimeout: 20 * time.Second,
		TLSConfig:         tlsconfig.MTLSServerConfig(options.source, options.source, options.peer),
		Handler: http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
			peer, err := x509svid.IDFromCert(request.TLS.PeerCertificates[0])
			if err != nil {
				http.Error(response, err.Error(), http.StatusInternalServerError)
				return
			}
			_, _ = io.WriteString(response, peer.String())
		}),
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := printLine(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port}); err != nil {
		return err
	}
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
