curl localhost:8000/v2/models/digits
curl --data-binary @seven.png localhost:8000/v2/models/digits/picture
curl --data-binary @seven.png localhost:8000/v2/models/digits/versions/candidate/picture
