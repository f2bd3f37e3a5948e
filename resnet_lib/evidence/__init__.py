"""From records to verdicts: claims and facts, their rules, the words for them, the ledger, comparisons, diagnoses."""
