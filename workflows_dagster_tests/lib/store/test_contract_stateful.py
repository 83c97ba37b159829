"""Any sequence of publications, failures, sweeps and losses of copies reads as a dictionary would."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from workflows_dagster_tests.lib.store.backends import BACKENDS, content, failed, publish

if TYPE_CHECKING:
    from workflows_dagster.lib.store.version import Version

EXAMPLES: Final = int(os.environ.get("WORKFLOWS_DAGSTER_CONTRACT_EXAMPLES", "5"))
PATHS: Final = st.sampled_from(["a", "b", "parts/1", "parts/with space"])
BASES: Final = st.sampled_from(["main", "dev"])
FILES: Final = st.dictionaries(
    st.sampled_from(["x", "y", "d/z", "é %+"]), st.sampled_from([b"", b"1", b"22"]), min_size=1, max_size=3
)


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.timeout(1800 + 600 * EXAMPLES)
def test_any_sequence_reads_as_a_dictionary(tmp_path: Path, kind: str) -> None:
    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.stack = ExitStack()
            backend = self.stack.enter_context(BACKENDS[kind](Path(tempfile.mkdtemp(dir=tmp_path))))
            self.stores = {"main": backend.store(), "dev": backend.store("laptop", "dev")}
            self.model: dict[str, dict[str, list[Version]]] = {"main": {}, "dev": {}}
            for base, store in self.stores.items():
                store.repository.prepare(base)

        def teardown(self) -> None:
            self.stack.close()

        @rule(base=BASES, path=PATHS, files=FILES)
        def publish(self, base: str, path: str, files: dict[str, bytes]) -> None:
            history = self.model[base].setdefault(path, [])
            before = content(self.stores[base], path) if history else None
            version = publish(self.stores[base], path, files)
            assert (before == files) == (bool(history) and version == history[-1])
            if before != files:
                assert version.parent == (history[-1].commit if history else None)
                history.append(version)
            assert content(self.stores[base], path, version.commit) == files

        @rule(base=BASES, path=PATHS, files=FILES)
        def fail(self, base: str, path: str, files: dict[str, bytes]) -> None:
            failed(self.stores[base], path, files, KeyError())

        @rule(base=BASES)
        def sweep(self, base: str) -> None:
            self.stores[base].sweep(older_than_s=-1)
            assert self.stores[base].repository.branches("tx-") == []

        @rule(base=BASES)
        def evict(self, base: str) -> None:
            self.stores[base].evict(unused_for_s=-1)

        @invariant()
        def reads_as_the_model(self) -> None:
            for base, paths in self.model.items():
                store = self.stores[base]
                assert store.paths() == sorted(path for path, history in paths.items() if history)
                for path, history in paths.items():
                    assert list(store.log(path)) == history[::-1]

    run_state_machine_as_test(  # pyright: ignore[reportUnknownVariableType]
        Machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=8),
    )
