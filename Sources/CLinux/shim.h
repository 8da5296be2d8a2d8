// Linux calls that Swift's Glibc module does not show, since it is built without _GNU_SOURCE.
int renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path, unsigned int flags);
