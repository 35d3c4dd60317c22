convfleet predict runs/quickstart/exports/1-t0002 photos image.png --top 3
convfleet predict runs/quickstart/exports/1-t0002 photos --format onnx --json
convfleet evaluate runs/quickstart/exports/1-t0002
convfleet evaluate runs/quickstart/exports/1-t0002 --data photos
convfleet evaluate runs/quickstart/exports/1-t0002 --data labels.csv --source csv --set data.image_column=file --label digit
