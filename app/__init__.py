"""Faces only: command line, HTTP, pages; and the proofs that need every room."""
