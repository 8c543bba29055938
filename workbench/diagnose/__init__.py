"""What does a recording from somebody's desk say? Files of others' formats in, a diagnosis and a picture out."""
