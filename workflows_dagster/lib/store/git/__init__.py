"""The embedded repository: an ordinary bare git repository that needs no server."""
