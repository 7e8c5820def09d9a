"""A small simulated Kubernetes cluster that speaks the Kubernetes HTTP API and breaks on cue.

The core is pure or synchronous and knows no network: `store` (objects, versions, history), `server` (the verbs),
`controllers` (one pure reconcile function per kind), `kubelet` (pods that run, crash and fail to pull) and
`simulation`, which lets them act on each other in virtual time. `http` puts the Kubernetes API in front of it.
"""
