// The strings come from Package.swift, which has them from the environment of the build: no file of the tree changes.
#include "cbuild.h"

#ifndef SWIFTLET_COMMIT
#define SWIFTLET_COMMIT ""
#endif
#ifndef SWIFTLET_CPU
#define SWIFTLET_CPU "native"
#endif

const char *cbuild_commit(void) { return SWIFTLET_COMMIT; }

const char *cbuild_cpu(void) { return SWIFTLET_CPU; }

const char *cbuild_compiler(void) { return __VERSION__; }
