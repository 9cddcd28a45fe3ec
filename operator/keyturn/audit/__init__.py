"""Questions about who could and who did: `keyturn audit verify`, `keyturn who-can`, `keyturn who-read`."""
