package main

import (
	"bufio"
	"context"
	"crypto"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

const jwtKeyID = "jwt-key"

// workloadAPI serves one workload with two identities, the second of them with the hint "second".
type workloadAPI struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	mutex     sync.Mutex
	ids       []spiffeid.ID
	authority *authority
	jwtKey    crypto.Signer
	svids     []*workload.X509SVID
	changed   chan struct{}
}

// workloadAPIServer prints its bundle when it listens and after each line that it reads: "svid" issues new SVIDs,
// "authority" a new authority and new SVIDs, "deny" withdraws them.
func workloadAPIServer(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("workload-api-server", flag.ContinueOnError)
	socket := flags.String("socket", "", "path to listen on")
	first := flags.String("id", "", "SPIFFE ID of the workload")
	second := flags.String("second-id", "", "its other SPIFFE ID")
	keyType := flags.String("key-type", "ec-p256", "ec-p256, ec-p384, rsa-2048")
	if err := flags.Parse(args); err != nil {
		return err
	}
	api, err := newWorkloadAPI([]string{*first, *second}, *keyType)
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(guardCall), grpc.StreamInterceptor(guardStream))
	workload.RegisterSpiffeWorkloadAPIServer(server, api)
	context.AfterFunc(ctx, server.Stop)
	go api.obey(server)
	if err := api.printBundle(); err != nil {
		return err
	}
	return server.Serve(listener)
}

func newWorkloadAPI(names []string, keyType string) (*workloadAPI, error) {
	api := &workloadAPI{changed: make(chan struct{})}
	for _, name := range names {
		id, err := spiffeid.FromString(name)
		if err != nil {
			return nil, err
		}
		api.ids = append(api.ids, id)
	}
	var err error
	if api.jwtKey, err = newKey("ec-p256"); err != nil {
		return nil, err
	}
	if api.authority, err = newAuthority(api.ids[0].TrustDomain(), keyType); err != nil {
		return nil, err
	}
	if err = api.authority.bundle.AddJWTAuthority(jwtKeyID, api.jwtKey.Public()); err != nil {
		return nil, err
	}
	return api, api.issue()
}

// obey reads commands until there are no more; then the server stops.
func (api *workloadAPI) obey(server *grpc.Server) {
	defer server.Stop()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := api.command(lines.Text()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
	}
}

func (api *workloadAPI) command(name string) error {
	api.mutex.Lock()
	defer api.mutex.Unlock()
	var err error
	switch name {
	case "svid":
		err = api.issue()
	case "authority":
		if err = api.authority.rotate(); err == nil {
			err = api.issue()
		}
	case "deny":
		api.svids = nil
	default:
		err = fmt.Errorf("unknown command %q", name)
	}
	if err != nil {
		return err
	}
	close(api.changed)
	api.changed = make(chan struct{})
	return api.printBundle()
}

func (api *workloadAPI) issue() error {
	svids := []*workload.X509SVID{}
	for index, id := range api.ids {
		chain, key, err := api.authority.svid(id)
		if err != nil {
			return err
		}
		svids = append(svids, &workload.X509SVID{
			SpiffeId:    id.String(),
			X509Svid:    chain,
			X509SvidKey: key,
			Bundle:      api.roots(),
			Hint:        []string{"", "second"}[index],
		})
	}
	api.svids = svids
	return nil
}

func (api *workloadAPI) roots() []byte {
	roots := []byte{}
	for _, root := range api.authority.bundle.X509Authorities() {
		roots = append(roots, root.Raw...)
	}
	return roots
}

func (api *workloadAPI) printBundle() error {
	document, err := api.authority.bundle.Marshal()
	if err != nil {
		return err
	}
	return printLine(map[string]any{"bundle": json.RawMessage(document)})
}

// follow sends at once, and again after every change.
func (api *workloadAPI) follow(ctx context.Context, send func() error) error {
	for {
		api.mutex.Lock()
		changed := api.changed
		err := status.Error(codes.PermissionDenied, "no identity issued")
		if api.svids != nil {
			err = send()
		}
		api.mutex.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (api *workloadAPI) FetchX509SVID(
	_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse],
) error {
	return api.follow(stream.Context(), func() error {
		return stream.Send(&workload.X509SVIDResponse{Svids: api.svids})
	})
}

func (api *workloadAPI) FetchX509Bundles(
	_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse],
) error {
	return api.follow(stream.Context(), func() error {
		bundles := map[string][]byte{api.authority.bundle.TrustDomain().IDString(): api.roots()}
		return stream.Send(&workload.X509BundlesResponse{Bundles: bundles})
	})
}

func (api *workloadAPI) FetchJWTBundles(
	_ *workload.JWTBundlesRequest, stream grpc.ServerStreamingServer[workload.JWTBundlesResponse],
) error {
	return api.follow(stream.Context(), func() error {
		keys, err := api.authority.bundle.JWTBundle().Marshal()
		if err != nil {
			return err
		}
		bundles := map[string][]byte{api.authority.bundle.TrustDomain().IDString(): keys}
		return stream.Send(&workload.JWTBundlesResponse{Bundles: bundles})
	})
}

func (api *workloadAPI) FetchJWTSVID(
	_ context.Context, request *workload.JWTSVIDRequest,
) (*workload.JWTSVIDResponse, error) {
	response := &workload.JWTSVIDResponse{}
	for _, id := range api.ids {
		if request.SpiffeId != "" && request.SpiffeId != id.String() {
			continue
		}
		token, err := api.token(id, request.Audience)
		if err != nil {
			return nil, err
		}
		response.Svids = append(response.Svids, &workload.JWTSVID{SpiffeId: id.String(), Svid: token})
	}
	if len(response.Svids) == 0 {
		return nil, status.Error(codes.PermissionDenied, "no identity issued")
	}
	return response, nil
}

func (api *workloadAPI) token(id spiffeid.ID, audience []string) (string, error) {
	key := jose.SigningKey{
		Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: api.jwtKey, KeyID: jwtKeyID},
	}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Subject:  id.String(),
		Audience: audience,
		IssuedAt: jwt.NewNumericDate(time.Now()),
		Expiry:   jwt.NewNumericDate(time.Now().Add(5 * time.Minute)),
	}).Serialize()
}

func (api *workloadAPI) ValidateJWTSVID(
	_ context.Context, request *workload.ValidateJWTSVIDRequest,
) (*workload.ValidateJWTSVIDResponse, error) {
	svid, err := jwtsvid.ParseAndValidate(request.Svid, api.authority.bundle, []string{request.Audience})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	claims, err := structpb.NewStruct(svid.Claims)
	if err != nil {
		return nil, err
	}
	return &workload.ValidateJWTSVIDResponse{SpiffeId: svid.ID.String(), Claims: claims}, nil
}

// Without the header, a request may be one that a browser or a proxy was made to send.
func guard(ctx context.Context) error {
	if values := metadata.ValueFromIncomingContext(ctx, "workload.spiffe.io"); len(values) != 1 || values[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	return nil
}

func guardCall(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := guard(ctx); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func guardStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := guard(stream.Context()); err != nil {
		return err
	}
	return handler(server, stream)
}
