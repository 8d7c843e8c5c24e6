"""What makes the embedded speech model and the sample calls: grammar, voices, network, export, evaluation."""
