// CRC-32C: see crc32c.cc.
#pragma once

namespace recovery {

// Whether the processor has an instruction for it.
bool Crc32cHasInstruction();

}  // namespace recovery
