"""What every page is made of: layout, parts, colours, languages."""
