package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const svidLifetime = 10 * time.Minute

// authority issues X.509-SVIDs: a root, an intermediate that signs them, and the bundle with every root that there was.
type authority struct {
	keyType         string
	bundle          *spiffebundle.Bundle
	intermediate    *x509.Certificate
	intermediateKey crypto.Signer
}

func newAuthority(trustDomain spiffeid.TrustDomain, keyType string) (*authority, error) {
	created := &authority{keyType: keyType, bundle: spiffebundle.New(trustDomain)}
	created.bundle.SetSequenceNumber(0)
	created.bundle.SetRefreshHint(time.Minute)
	return created, created.rotate()
}

// rotate makes a new root and a new intermediate; earlier roots stay in the bundle.
func (a *authority) rotate() error {
	id := a.bundle.TrustDomain().ID()
	root, rootKey, err := a.issue(caTemplate(id, "root", 1), nil, nil)
	if err != nil {
		return err
	}
	a.intermediate, a.intermediateKey, err = a.issue(caTemplate(id, "intermediate", 0), root, rootKey)
	if err != nil {
		return err
	}
	a.bundle.AddX509Authority(root)
	sequence, _ := a.bundle.SequenceNumber()
	a.bundle.SetSequenceNumber(sequence + 1)
	return nil
}

// svid is what the Workload API sends of a new X.509-SVID: the chain and its key.
func (a *authority) svid(id spiffeid.ID) (chain []byte, key []byte, err error) {
	leaf, signer, err := a.issue(&x509.Certificate{
		URIs:        []*url.URL{id.URL()},
		NotAfter:    time.Now().Add(svidLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.intermediate, a.intermediateKey)
	if err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(signer)
	return append(leaf.Raw, a.intermediate.Raw...), key, err
}

func caTemplate(id spiffeid.ID, name string, pathLength int) *x509.Certificate {
	return &x509.Certificate{
		Subject:        pkix.Name{CommonName: name},
		URIs:           []*url.URL{id.URL()},
		NotAfter:       time.Now().Add(time.Hour),
		KeyUsage:       x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:           true,
		MaxPathLen:     pathLength,
		MaxPathLenZero: pathLength == 0,
	}
}

// issue signs a certificate for a new key: by its parent, or by itself where there is none.
func (a *authority) issue(
	template, parent *x509.Certificate, parentKey crypto.Signer,
) (*x509.Certificate, crypto.Signer, error) {
	key, err := newKey(a.keyType)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Minute)
	template.BasicConstraintsValid = true
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}

func newKey(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "ec-p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ec-p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	default:
		return nil, fmt.Errorf("unknown type of key %q", keyType)
	}
}
