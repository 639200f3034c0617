#pragma once
// Every file includes Node-API through this header: the setting must be the same in all of them.

// In a worker that is being terminated an exception can no longer be thrown; by default node-addon-api ends the whole
// process then.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>
