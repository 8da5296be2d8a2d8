// Placeholder until the first kernel test.
