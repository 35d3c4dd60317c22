convfleet registry add runs/quickstart --name digits --alias candidate
convfleet registry list
convfleet registry add runs/quickstart --rank 2 --name digits
convfleet registry compare digits 1 2
convfleet registry promote digits candidate --to production
convfleet registry promote digits 2
convfleet registry rollback digits
convfleet registry split digits 1=0.9 2=0.1
convfleet registry split digits --end
convfleet registry show digits
convfleet registry remove digits 2
