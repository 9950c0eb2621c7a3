# Sourced by tester.tcl (suite.patch) when FILE_BRIDGE_TCL names it. Makes Tcl's file commands act on files that the default VFS
# holds: a path is the VFS's when the VFS says it exists and can open it; everything else is the file system's.

# SQL that every connection runs right after it was opened (setting 3: journal_mode=wal).
if {[info exists ::env(SUITE_PRESQL)]} { set ::G(perm:presql) $::env(SUITE_PRESQL) }

if {[info commands vfsfs] == ""} { load {} Filebridge }
if {[vfsfs active] && [info commands real_file] == ""} {
  foreach command {file glob hexio_read hexio_write md5file} { rename $command real_$command }

  proc in_vfs {name} {
    expr {$name ne "" && ![catch {vfsfs exists $name} found] && $found}
  }

  # Options in front of a command's arguments, up to "--": returns {options rest}.
  proc split_options {arguments} {
    set options {}
    while {[string match -* [lindex $arguments 0]]} {
      set arguments [lassign $arguments option]
      if {$option eq "--"} break
      lappend options $option
    }
    list $options $arguments
  }

  proc file {subcommand args} {
    set name [lindex $args 0]
    switch -glob -- $subcommand {
      exis* - isfi* - reada* - writ* { if {[in_vfs $name]} { return 1 } }
      siz* { if {[in_vfs $name] && ![catch {vfsfs size $name} size]} { return $size } }
      del* { foreach name [lindex [split_options $args] 1] { delete_in_vfs $name } }
      cop* - ren* { if {[copy_in_vfs $subcommand $args]} return }
    }
    tailcall real_file $subcommand {*}$args
  }

  # Deletes a file of the VFS, or those under a directory.
  proc delete_in_vfs {name} {
    if {[real_file isdirectory $name]} {
      set directory [real_file normalize $name]/
      foreach inside [vfsfs list] {
        if {[string first $directory $inside] == 0} { vfsfs delete $inside }
      }
    } elseif {[in_vfs $name]} {
      vfsfs delete $name
    }
  }

  # Copies or renames when the VFS holds the source, or when the target is a database's name. Returns whether it did.
  proc copy_in_vfs {subcommand arguments} {
    lassign [split_options $arguments] options names
    if {[llength $names] != 2} { return 0 }
    lassign $names from to
    if {[real_file isdirectory $from]} { return 0 }
    if {[real_file isdirectory $to]} { set to [real_file join $to [real_file tail $from]] }
    if {![in_vfs $from] || [catch {vfsfs read $from 0 -1} data]} {
      if {![real_file isfile $from] || !([in_vfs $to] || [regexp {\.db[0-9]*(-journal|-wal)?$} $to])} { return 0 }
      set channel [open $from rb]
      set data [read $channel]
      close $channel
    }
    if {[in_vfs $to]} {
      if {"-force" ni $options} { error "error copying \"$from\" to \"$to\": file already exists" }
      vfsfs delete $to
    }
    real_file delete -force $to
    vfsfs write $to 0 $data
    if {[string match ren* $subcommand]} { file delete -force $from }
    return 1
  }

  proc glob {args} {
    set failed [catch {uplevel 1 [list real_glob {*}$args]} found result]
    lassign [split_options $args] options patterns
    set directory [pwd]/
    if {$options eq "" || $options eq "-nocomplain"} {
      set names {}
      foreach name [vfsfs list] {
        set short $name
        if {[string first $directory $name] == 0} { set short [string range $name [string length $directory] end] }
        foreach pattern $patterns {
          set here [expr {[string first / $short] < 0 || [string first / $pattern] >= 0}]
          if {[string match $pattern $short] && $here} { lappend names $short }
          if {[string first / $pattern] >= 0 && [string match $pattern $name] && $short ne $name} { lappend names $name }
        }
      }
      if {[llength $names]} {
        if {!$failed} { lappend names {*}$found }
        return [lsort -unique $names]
      }
    }
    return -options $result $found
  }

  # Offsets below 0 (corruptB.test in setting 3) are 0 to SQLite's own commands, too: they seek in vain and go on.
  proc hexio_read {name offset count} {
    if {![in_vfs $name]} { tailcall real_hexio_read $name $offset $count }
    binary scan [vfsfs read $name [expr {$offset < 0 ? 0 : $offset}] $count] H* text
    string toupper $text
  }
  proc hexio_write {name offset text} {
    if {![in_vfs $name]} { tailcall real_hexio_write $name $offset $text }
    vfsfs write $name [expr {$offset < 0 ? 0 : $offset}] [binary format H* $text]
  }

  proc md5file {name args} {
    if {![in_vfs $name]} { tailcall real_md5file $name {*}$args }
    lassign [concat $args {0 -1}] offset count
    set channel [open md5file.tmp wb]
    puts -nonewline $channel [vfsfs read $name $offset $count]
    close $channel
    set sum [real_md5file md5file.tmp]
    real_file delete md5file.tmp
    return $sum
  }
}
