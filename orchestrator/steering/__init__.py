"""What people ask of a study from outside its driver."""
