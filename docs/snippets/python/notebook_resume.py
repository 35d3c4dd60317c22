import convfleet

result = convfleet.resume_study("runs/my-study")
result
