"""Small programs that run inside the namespaces of a lab. They import nothing but the standard library."""
