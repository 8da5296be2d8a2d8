#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// Linux calls that Swift's Glibc module does not show, since it is built without _GNU_SOURCE.
int renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path, unsigned int flags);
int memfd_create(const char *name, unsigned int flags);

/// Lists those words of `needed`, blanks between, that the first line of flags in `cpuinfo` lacks. False when it has all
/// of them, or the file has no such line.
static inline bool linux_missing_cpu_features(const char *cpuinfo, const char *needed, char *missing, size_t size) {
    char line[1 << 14];
    bool found = false;
    FILE *file = fopen(cpuinfo, "re");
    if (!file) return false;
    while (!found && fgets(line, sizeof line, file)) found = strncmp(line, "flags", 5) == 0;
    fclose(file);
    if (!found) return false;
    line[strcspn(line, "\n")] = ' ';
    size_t used = 0;
    for (const char *word = needed; *word; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        char wanted[64];
        snprintf(wanted, sizeof wanted, " %.*s ", (int)length, word);
        if (!strstr(line, wanted) && used + length + 2 < size)
            used += (size_t)snprintf(missing + used, size - used, used ? ", %.*s" : "%.*s", (int)length, word);
        word += length;
    }
    return used > 0;
}
