"""How the bundled project is deployed: docs/deployment.md."""
