"""Jobs on a Ray cluster: a study sent there, followed and stopped over the dashboard's address."""
