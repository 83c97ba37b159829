"""The real Argilla server, for the tests of this folder."""

from workflows_dagster_tests.argilla_server_fixture import argilla_environment as argilla_environment
from workflows_dagster_tests.argilla_server_fixture import argilla_server as argilla_server
