"""One of everything that a package can add to Rostrum: a file and a YAML each."""
