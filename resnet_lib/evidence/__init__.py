"""From records to verdicts: claims and facts, their rules, the ledger, comparisons, diagnoses."""
