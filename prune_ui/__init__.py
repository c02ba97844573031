"""The lab's pages and what they share; with ``app.py`` and ``pages/`` the only code that imports streamlit."""
