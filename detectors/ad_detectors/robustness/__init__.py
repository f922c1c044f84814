"""What a score is worth against somebody who wants to deceive it: attacks by its gradient, and bounds."""
