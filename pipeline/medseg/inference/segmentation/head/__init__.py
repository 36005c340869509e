"""What a network's head finds beside the mask, window by window and slice by slice."""
