"""The boards as web pages, served beside the API under ``/board``: signed in by cookie, live by server-sent events,
nothing fetched from elsewhere and nothing built."""
