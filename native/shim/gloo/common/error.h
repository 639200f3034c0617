#pragma once
// See context.h: of this one nothing is needed.
