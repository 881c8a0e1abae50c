package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

type question struct {
	// SPIFFE bundle documents, by trust domain.
	Bundles map[string]json.RawMessage `json:"bundles"`
	Chains  []struct {
		X5C  [][]byte  `json:"x5c"`
		Time time.Time `json:"time"`
	} `json:"chains"`
}

type answer struct {
	ID    string `json:"id,omitempty"`
	Error string `json:"error,omitempty"`
}

// verifyChains reads a question from standard input, and answers with one line for all chains.
func verifyChains(_ context.Context, _ []string) error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	bundles := spiffebundle.NewSet()
	for name, document := range asked.Bundles {
		trustDomain, err := spiffeid.TrustDomainFromString(name)
		if err != nil {
			return err
		}
		bundle, err := spiffebundle.Parse(trustDomain, document)
		if err != nil {
			return fmt.Errorf("bundle of %s: %w", name, err)
		}
		bundles.Add(bundle)
	}
	answers := []answer{}
	for _, chain := range asked.Chains {
		id, _, err := x509svid.ParseAndVerify(chain.X5C, bundles, x509svid.WithTime(chain.Time))
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
		} else {
			answers = append(answers, answer{ID: id.String()})
		}
	}
	return printLine(answers)
}
