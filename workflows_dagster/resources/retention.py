"""How long the store keeps what nobody needs, as a Dagster resource."""

import dagster as dg
from pydantic import Field


class RetentionResource(dg.ConfigurableResource["RetentionResource"]):
    """What maintenance leaves in the store."""

    keep_versions: int = Field(default=10, ge=1, description="Versions of each path, besides released ones.")
    stale_branch_days: int = Field(default=7, ge=1, description="Days that refused and lost outputs are kept.")
    unused_copy_days: int = Field(default=30, ge=1, description="Days that a local view is kept that nothing reads.")
