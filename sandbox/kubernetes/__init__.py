"""A real Kubernetes on this machine, built from source: control plane, simulated nodes (KWOK), one with a kubelet."""
