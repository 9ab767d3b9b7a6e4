"""From the file or text of an article to its rows and passages, where searches find them."""
