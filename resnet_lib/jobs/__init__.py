"""Working through runs: campaigns on one machine and on many, records in and out, studies of trained nets."""
