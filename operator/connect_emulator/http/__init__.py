"""The Connect API: from bytes on a connection to an answer, whole or damaged."""
