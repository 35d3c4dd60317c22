convfleet stop runs/flowers t0007                                 # ends after its next report
convfleet keep runs/flowers t0009                                 # early stopping lets it go on; --undo
convfleet add runs/flowers --param filters=16 --param learning_rate=0.003
convfleet note runs/flowers t0009 'learns slowly, but steadily'
convfleet note runs/flowers 'the first 2,000 images are blurred'
convfleet star runs/flowers t0009                                 # --undo takes it away
convfleet tag runs/flowers baseline 'for the paper'                # --undo takes them away
convfleet pause runs/flowers                                      # convfleet resume goes on
