"""How many of the CRM's daily calls a run may spend: a share of them is kept for others."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.contract import CrmConnector


@dataclass(frozen=True, slots=True)
class Budget:
    connector: CrmConnector
    reserve_percent: int

    def shortage(self, cost: int) -> str:
        """Why `cost` calls are too many now; empty when they are not, or where the CRM does not count them."""
        allowance = self.connector.allowance()
        if allowance.left is None or allowance.limit is None:
            return ""
        reserve = allowance.limit * self.reserve_percent // 100
        if allowance.left - cost >= reserve:
            return ""
        return f"{allowance.left:,} of {allowance.limit:,} API calls are left today and {reserve:,} are kept for others"
