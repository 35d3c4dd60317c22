"""The pages of the dashboard, a module each, whose function adds the page's address."""
