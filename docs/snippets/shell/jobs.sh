convfleet jobs list http://127.0.0.1:8265
convfleet jobs status http://127.0.0.1:8265 my-study-1a2b3c
convfleet jobs logs http://127.0.0.1:8265 my-study-1a2b3c --follow
convfleet jobs stop http://127.0.0.1:8265 my-study-1a2b3c     # the study pauses; launched again, it goes on
