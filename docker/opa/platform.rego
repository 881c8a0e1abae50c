# What the platform asks of everything that runs on it (docker/kest/deployment.yaml).
package platform

default minimum_trust := false

# Users' requests have 40, what comes from the internet 10.
minimum_trust if input.trust_score >= 40
