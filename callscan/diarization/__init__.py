"""Who speaks on a mono recording: a diariser's turns, the words' speakers, and which of them is the agent."""
