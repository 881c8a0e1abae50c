package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type svidFacts struct {
	ID        string    `json:"id"`
	Hint      string    `json:"hint"`
	Serial    string    `json:"serial"`
	Algorithm string    `json:"algorithm"`
	Chain     [][]byte  `json:"chain"`
	NotAfter  time.Time `json:"notAfter"`
}

type jwtFacts struct {
	ID       string    `json:"id"`
	Audience []string  `json:"audience"`
	Expiry   time.Time `json:"expiry"`
	Token    string    `json:"token"`
}

// fetch asks for everything that the Workload API has, and verifies it: X.509-SVIDs against the bundles of the same
// message, JWT-SVIDs against the JWT bundles and by ValidateJWTSVID.
func fetch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	address := flags.String("address", "", "of the Workload API")
	audience := flags.String("audience", "", "of a JWT-SVID; none is fetched without it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(*address))
	if err != nil {
		return err
	}
	defer client.Close()

	x509Context, err := client.FetchX509Context(ctx)
	if err != nil {
		return fmt.Errorf("FetchX509SVID: %w", err)
	}
	svids, err := verified(x509Context)
	if err != nil {
		return err
	}
	x509Bundles, err := client.FetchX509Bundles(ctx)
	if err != nil {
		return fmt.Errorf("FetchX509Bundles: %w", err)
	}
	result := map[string]any{
		"x509Svids":   svids,
		"x509Bundles": authorities(x509Bundles),
	}
	if *audience != "" {
		jwtBundles, err := client.FetchJWTBundles(ctx)
		if err != nil {
			return fmt.Errorf("FetchJWTBundles: %w", err)
		}
		token, err := fetchJWT(ctx, client, jwtBundles, *audience)
		if err != nil {
			return err
		}
		result["jwtSvid"] = token
		result["jwtBundles"] = keyIDs(jwtBundles)
	}
	return printLine(result)
}

// watch prints a line for every update of the X.509-SVIDs, until it is told to stop.
func watch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	address := flags.String("address", "", "of the Workload API")
	if err := flags.Parse(args); err != nil {
		return err
	}
	err := workloadapi.WatchX509Context(ctx, printingWatcher{}, workloadapi.WithAddr(*address))
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return err
}

type printingWatcher struct{}

func (printingWatcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	svids, err := verified(update)
	if err != nil {
		_ = printLine(map[string]any{"error": err.Error()})
		return
	}
	_ = printLine(map[string]any{"x509Svids": svids, "x509Bundles": authorities(update.Bundles)})
}

func (printingWatcher) OnX509ContextWatchError(err error) {
	_ = printLine(map[string]any{"error": err.Error()})
}

// verified are the SVIDs of a message. That each key is its leaf's was seen when they were parsed.
func verified(update *workloadapi.X509Context) ([]svidFacts, error) {
	svids := []svidFacts{}
	for _, svid := range update.SVIDs {
		id, _, err := x509svid.Verify(svid.Certificates, update.Bundles)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", svid.ID, err)
		}
		if id != svid.ID {
			return nil, fmt.Errorf("%s: the certificate is that of %s", svid.ID, id)
		}
		facts := svidFacts{
			ID:        id.String(),
			Hint:      svid.Hint,
			Serial:    svid.Certificates[0].SerialNumber.Text(16),
			Algorithm: svid.Certificates[0].PublicKeyAlgorithm.String(),
			NotAfter:  svid.Certificates[0].NotAfter,
		}
		for _, certificate := range svid.Certificates {
			facts.Chain = append(facts.Chain, certificate.Raw)
		}
		svids = append(svids, facts)
	}
	return svids, nil
}

func fetchJWT(
	ctx context.Context, client *workloadapi.Client, bundles *jwtbundle.Set, audience string,
) (*jwtFacts, error) {
	fetched, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return nil, fmt.Errorf("FetchJWTSVID: %w", err)
	}
	token := fetched.Marshal()
	svid, err := jwtsvid.ParseAndValidate(token, bundles, []string{audience})
	if err != nil {
		return nil, err
	}
	if _, err := client.ValidateJWTSVID(ctx, token, audience); err != nil {
		return nil, fmt.Errorf("ValidateJWTSVID: %w", err)
	}
	if _, err := client.ValidateJWTSVID(ctx, token, audience+"/other"); err == nil {
		return nil, errors.New("ValidateJWTSVID: a token for another audience was accepted")
	}
	return &jwtFacts{ID: svid.ID.String(), Audience: svid.Audience, Expiry: svid.Expiry, Token: token}, nil
}

// authorities are, by the name of the trust domain, the certificates of its bundle.
func authorities(set *x509bundle.Set) map[string][][]byte {
	all := map[string][][]byte{}
	for _, bundle := range set.Bundles() {
		for _, authority := range bundle.X509Authorities() {
			name := bundle.TrustDomain().Name()
			all[name] = append(all[name], authority.Raw)
		}
	}
	return all
}

func keyIDs(set *jwtbundle.Set) map[string][]string {
	all := map[string][]string{}
	for _, bundle := range set.Bundles() {
		ids := []string{}
		for id := range bundle.JWTAuthorities() {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		all[bundle.TrustDomain().Name()] = ids
	}
	return all
}
