"""`python -m workflows_dagster.cli`: the command line where its script is not on the path."""

from workflows_dagster.cli import app

app(prog_name="workflows-dagster")
