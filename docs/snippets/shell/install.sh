python -m pip install .
convfleet run quickstart
