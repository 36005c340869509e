"""What people start with quantities: training and prediction."""
