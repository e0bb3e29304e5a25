"""Connectors: one folder per CRM, each speaking `connectors.contract` and nothing of `app`."""
