"""From the archive to the report, without audio: what transcripts say, every lexicon over it, the count."""
